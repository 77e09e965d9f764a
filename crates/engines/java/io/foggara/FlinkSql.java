package io.foggara;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableDescriptor;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.internal.TableEnvironmentInternal;
import org.apache.flink.table.operations.BeginStatementSetOperation;
import org.apache.flink.table.operations.CompileAndExecutePlanOperation;
import org.apache.flink.table.operations.CreateTableASOperation;
import org.apache.flink.table.operations.EndStatementSetOperation;
import org.apache.flink.table.operations.ModifyOperation;
import org.apache.flink.table.operations.Operation;
import org.apache.flink.table.operations.QueryOperation;
import org.apache.flink.table.operations.ReplaceTableAsOperation;
import org.apache.flink.table.operations.SinkModifyOperation;
import org.apache.flink.table.operations.command.ExecutePlanOperation;

/**
 * Runs a script of SQL as one job of Flink. The script lies beside this class in the jar, cut into statements: each is a line of
 * {@code statements}, in Base64. What makes no job is done in order, and what it shows is printed; all INSERTs and SELECTs go into one job at the end, since Flink
 * takes one job of a program. The rows of a SELECT are printed by its task.
 */
public final class FlinkSql {
    private static final String STATEMENTS = "/statements";
    /** A setting, as Flink's own client reads it. */
    private static final Pattern SET =
            Pattern.compile("SET\\s+(?:'([^']+)'|([^'\\s=]+))\\s*=\\s*(?:'((?:[^']|'')*)'|(\\S+))\\s*", Pattern.CASE_INSENSITIVE);
    /** Settings by which the service knows its job. */
    private static final String PARAMETERS = "pipeline.global-job-parameters";
    private static final String INTERNAL = "$internal.";
    private static final String MODE = "execution.runtime-mode";
    /** What follows is of no use in one line, and may tell the values of options. */
    private static final Pattern LISTS = Pattern.compile("Was expecting|Supported options|Available options|Table options");
    /** No line is added to a text of this many letters. */
    private static final int LONG = 300;
    /** Waits for an INSERT before the next statement. */
    private static final String IN_ORDER = "table.dml-sync";
    /** The service has to hear that the job was submitted before. */
    private static final String REPEATED = "org\\.apache\\.flink\\..*\\.Duplicate\\w*SubmissionException";
    /** What these answer is printed. */
    private static final Pattern SHOWS = Pattern.compile("(?:SHOW|DESC|DESCRIBE|EXPLAIN|CALL)\\b", Pattern.CASE_INSENSITIVE);
    /** Begins a statement set in one word with its first INSERT. */
    private static final Pattern BEGINS =
            Pattern.compile("EXECUTE\\s+STATEMENT\\s+SET\\s+BEGIN\\s+", Pattern.CASE_INSENSITIVE);

    private final TableEnvironment env;
    private final StatementSet set;
    private final boolean prints;
    /** The statements that make the job, by their number. */
    private final Map<Integer, String> jobs = new TreeMap<>();
    /** How many jobs Flink's own client would make of them. */
    private int units;
    private boolean inSet;
    /** The one statement among them is a job of its own, which does not go into a set. */
    private boolean alone;

    private FlinkSql(TableEnvironment env, boolean prints) {
        this.env = env;
        this.set = env.createStatementSet();
        this.prints = prints;
    }

    /** @param words {@code silent} where nobody may see what tasks print */
    public static void main(String[] words) throws IOException, Wrong {
        List<String> statements = statements();
        Map<String, String> settings = new HashMap<>();
        for (int at = 0; at < statements.size(); at++) {
            String[] setting = setting(statements.get(at));
            if (setting != null) {
                if (setting[0].equals(PARAMETERS) || setting[0].startsWith(INTERNAL)) {
                    throw new Wrong(at + 1, setting[0] + " is set by the service and cannot be given by a job");
                }
                settings.put(setting[0], setting[1]);
            }
        }
        FlinkSql script = new FlinkSql(environment(settings), words.length == 0 || !words[0].equals("silent"));
        for (int at = 0; at < statements.size(); at++) {
            try {
                script.run(at + 1, statements.get(at));
            } catch (RuntimeException | LinkageError error) {
                throw new Wrong(at + 1, cause(error));
            }
        }
        script.finish();
    }

    /** An environment is made for one mode, and all that makes a job is in one: the script's last word on it counts. */
    private static TableEnvironment environment(Map<String, String> settings) throws Wrong {
        try {
            Configuration given = Configuration.fromMap(
                    StreamExecutionEnvironment.getExecutionEnvironment().getConfiguration().toMap());
            if (settings.containsKey(MODE)) {
                given.setString(MODE, settings.get(MODE));
            }
            return TableEnvironment.create(EnvironmentSettings.newInstance().withConfiguration(given).build());
        } catch (RuntimeException | LinkageError error) {
            throw new Wrong(0, cause(error));
        }
    }

    private void run(int number, String given) {
        String[] setting = setting(given);
        if (setting != null) {
            env.getConfig().set(setting[0], setting[1]);
            return;
        }
        String statement = given;
        Matcher begins = BEGINS.matcher(given);
        if (begins.lookingAt()) {
            beginSet();
            statement = given.substring(begins.end());
        }
        for (Operation operation : ((TableEnvironmentInternal) env).getParser().parse(statement)) {
            if (operation instanceof BeginStatementSetOperation) {
                beginSet();
            } else if (operation instanceof EndStatementSetOperation) {
                inSet = false;
            } else if (isAlone(operation)) {
                add(number, statement, true);
            } else if (operation instanceof QueryOperation) {
                if (!prints) {
                    throw new IllegalArgumentException(
                            "the rows of a SELECT are printed by its tasks, and what is printed on this cluster is shown to"
                                    + " nobody: write them into a table by INSERT");
                }
                add(number, statement, false);
                set.add(env.sqlQuery(statement).insertInto(TableDescriptor.forConnector("print").build()));
            } else if (operation instanceof ModifyOperation) {
                add(number, statement, false);
                set.addInsertSql(statement);
            } else {
                TableResult result = env.executeSql(statement);
                if (prints && SHOWS.matcher(statement).lookingAt()) {
                    result.print();
                }
            }
        }
    }

    private static boolean isAlone(Operation operation) {
        boolean changes = operation instanceof SinkModifyOperation
                && (((SinkModifyOperation) operation).isUpdate() || ((SinkModifyOperation) operation).isDelete());
        return changes
                || operation instanceof CreateTableASOperation
                || operation instanceof ReplaceTableAsOperation
                || operation instanceof CompileAndExecutePlanOperation
                || operation instanceof ExecutePlanOperation;
    }

    private void beginSet() {
        inSet = true;
        units++;
    }

    private void add(int number, String statement, boolean isAlone) {
        if (alone || isAlone && !jobs.isEmpty()) {
            throw new IllegalArgumentException(
                    "a script runs as one job: a statement that is a job of its own goes with no other INSERT or SELECT");
        }
        jobs.put(number, statement);
        alone = isAlone;
        if (!inSet) {
            units++;
        }
    }

    private void finish() throws Wrong {
        if (jobs.isEmpty()) {
            throw new Wrong(0, "no statement of the script makes a job: it has no INSERT and no SELECT");
        }
        if (units > 1 && Boolean.parseBoolean(env.getConfig().getConfiguration().toMap().get(IN_ORDER))) {
            throw new Wrong(0, "with " + IN_ORDER + " each INSERT would be a job of its own, and a script runs as one job: put the"
                    + " INSERTs into a statement set or into several scripts");
        }
        // Nobody waits for the job here.
        env.getConfig().set(IN_ORDER, "false");
        try {
            if (alone) {
                env.executeSql(jobs.values().iterator().next());
            } else {
                set.execute();
            }
        } catch (RuntimeException | LinkageError error) {
            Throwable cause = innermost(error);
            if (cause.getClass().getName().matches(REPEATED)) {
                throw error;
            }
            throw new Wrong(atFault(), cause(error));
        }
    }

    /** The number of the statement that cannot be planned; 0 where that is not known. */
    private int atFault() {
        for (Map.Entry<Integer, String> job : jobs.entrySet()) {
            if (jobs.size() == 1) {
                return job.getKey();
            }
            try {
                env.explainSql(job.getValue());
            } catch (RuntimeException | LinkageError error) {
                return job.getKey();
            }
        }
        return 0;
    }

    private static Throwable innermost(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null && cause.getCause() != cause) {
            cause = cause.getCause();
        }
        return cause;
    }

    /** What the innermost cause says, without its lists: of the options of the table, and of all that could have been. */
    private static String cause(Throwable error) {
        Throwable cause = innermost(error);
        StringBuilder text = new StringBuilder();
        for (String line : String.valueOf(cause.getMessage()).strip().split("\\R")) {
            String words = line.strip();
            if (LISTS.matcher(words).lookingAt() || text.length() > LONG) {
                break;
            }
            text.append(text.length() == 0 || words.isEmpty() ? "" : " ").append(words);
        }
        return text.length() == 0 || cause.getMessage() == null ? cause.getClass().getName() : text.toString();
    }

    private static String[] setting(String statement) {
        Matcher matcher = SET.matcher(statement);
        if (!matcher.matches()) {
            return null;
        }
        String key = matcher.group(1) != null ? matcher.group(1) : matcher.group(2);
        String value = matcher.group(3) != null ? matcher.group(3).replace("''", "'") : matcher.group(4);
        return new String[] {key.trim(), value};
    }

    private static List<String> statements() throws IOException {
        List<String> statements = new ArrayList<>();
        try (InputStream in = FlinkSql.class.getResourceAsStream(STATEMENTS)) {
            for (String line : new String(in.readAllBytes(), StandardCharsets.US_ASCII).split("\n")) {
                statements.add(new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8));
            }
        }
        return statements;
    }

    /** Why the script cannot run; Flink's own trace stays out of it. */
    private static final class Wrong extends Exception {
        private static final long serialVersionUID = 1;

        /** @param number the statement's, from 1; 0 for the script as a whole */
        Wrong(int number, String why) {
            super(number == 0 ? why : "statement " + number + ": " + why);
        }
    }
}
