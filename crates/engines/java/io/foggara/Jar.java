package io.foggara;

import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.util.RunJar;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.LoggerContext;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;

/**
 * Runs a jar as Hadoop's RunJar does, and tells its progress. The jar's own main submits its jobs; their progress and counters are
 * what Hadoop's client logs while such a main waits for a job. Of several jobs it is the one that runs.
 */
public final class Jar {
    private Jar() {}

    /** @param words as RunJar takes them */
    public static void main(String[] words) throws Throwable {
        new Listener(new Progress(new Configuration().get(Progress.KEY))).listen();
        RunJar.main(words);
    }

    private static final class Listener extends AbstractAppender {
        private static final Pattern PERCENT = Pattern.compile(" map (\\d+)% reduce (\\d+)%");
        private final Progress progress;

        Listener(Progress progress) {
            super("foggara-progress", null, null, true, Property.EMPTY_ARRAY);
            this.progress = progress;
        }

        void listen() {
            start();
            LoggerContext context = (LoggerContext) LogManager.getContext(false);
            context.getConfiguration().getRootLogger().addAppender(this, Level.INFO, null);
        }

        @Override
        public void append(LogEvent event) {
            if (!event.getLoggerName().equals("org.apache.hadoop.mapreduce.Job")) {
                return;
            }
            String said = event.getMessage().getFormattedMessage();
            Matcher percent = PERCENT.matcher(said);
            if (percent.matches()) {
                progress.percent((Integer.parseInt(percent.group(1)) + Integer.parseInt(percent.group(2))) / 2.0);
            } else if (said.endsWith(" completed successfully")) {
                progress.percent(100);
            } else if (said.startsWith("Counters: ")) {
                progress.counters(counters(said));
            } else {
                return;
            }
            progress.tell();
        }

        /** As Hadoop prints them: a group behind one tab, its counters behind two. */
        private static Map<String, Map<String, Long>> counters(String said) {
            Map<String, Map<String, Long>> all = new TreeMap<>();
            Map<String, Long> group = new TreeMap<>();
            for (String line : said.split("\n")) {
                int at = line.lastIndexOf('=');
                if (line.startsWith("\t\t") && at > 0) {
                    try {
                        group.put(line.substring(2, at), Long.parseLong(line.substring(at + 1)));
                    } catch (NumberFormatException error) {
                        continue;
                    }
                } else if (line.startsWith("\t")) {
                    group = all.computeIfAbsent(line.substring(1), name -> new TreeMap<>());
                }
            }
            return all;
        }
    }
}
