package io.foggara;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.mapred.JobConf;
import org.apache.hadoop.mapreduce.Counter;
import org.apache.hadoop.mapreduce.CounterGroup;
import org.apache.hadoop.mapreduce.Counters;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.TaskCompletionEvent;
import org.apache.hadoop.util.ShutdownHookManager;

/**
 * Runs a job of MapReduce that is given by its settings alone, where a job's own main would call setMapperClass and so on. The only
 * argument is a file of Hadoop's settings. Progress and counters go to the log as Hadoop's own clients write them; the exit code is
 * 0 when the job succeeded, else 1, with the reason in the file that the setting foggara.fault.file names. How far it is goes to the file of
 * foggara.progress.file.
 */
public final class MapReduce {
    /** Settings that name a class, and for mapper and reducer what it has to be. */
    private static final Object[][] CLASSES = {
        {"mapred.mapper.class", org.apache.hadoop.mapred.Mapper.class, "mapreduce.job.map.class"},
        {"mapred.reducer.class", org.apache.hadoop.mapred.Reducer.class, "mapreduce.job.reduce.class"},
        {"mapred.combiner.class", org.apache.hadoop.mapred.Reducer.class, "mapreduce.job.combine.class"},
        {"mapreduce.job.map.class", org.apache.hadoop.mapreduce.Mapper.class, "mapred.mapper.class"},
        {"mapreduce.job.reduce.class", org.apache.hadoop.mapreduce.Reducer.class, "mapred.reducer.class"},
        {"mapreduce.job.combine.class", org.apache.hadoop.mapreduce.Reducer.class, "mapred.combiner.class"},
        {"mapred.input.format.class", org.apache.hadoop.mapred.InputFormat.class, "mapreduce.job.inputformat.class"},
        {"mapred.output.format.class", org.apache.hadoop.mapred.OutputFormat.class, "mapreduce.job.outputformat.class"},
        {"mapred.partitioner.class", org.apache.hadoop.mapred.Partitioner.class, "mapreduce.job.partitioner.class"},
        {"mapreduce.job.inputformat.class", org.apache.hadoop.mapreduce.InputFormat.class, "mapred.input.format.class"},
        {"mapreduce.job.outputformat.class", org.apache.hadoop.mapreduce.OutputFormat.class, "mapred.output.format.class"},
        {"mapreduce.job.partitioner.class", org.apache.hadoop.mapreduce.Partitioner.class, "mapred.partitioner.class"},
        {"mapreduce.map.output.key.class", Object.class, null},
        {"mapreduce.map.output.value.class", Object.class, null},
        {"mapreduce.job.output.key.class", Object.class, null},
        {"mapreduce.job.output.value.class", Object.class, null},
    };
    /** How long a stopped job may take to clear what it left of its output, in milliseconds. */
    private static final long CLEARING = 3000;
    /** Milliseconds between two looks at progress and counters: of threads of this process, and of a cluster. */
    private static final long[] LOOK = {1000, 5000};

    private MapReduce() {}

    /** @param words the path of the file of settings */
    public static void main(String[] words) {
        String fault = null;
        String reason;
        try {
            if (!new File(words[0]).canRead()) {
                throw new IOException("cannot read the settings in " + words[0]);
            }
            JobConf conf = new JobConf();
            conf.addResource(new Path(words[0]));
            fault = conf.get("foggara.fault.file");
            conf.unset("foggara.fault.file");
            checkClasses(conf);
            chooseInterface(conf);
            Progress progress = new Progress(conf.get(Progress.KEY));
            conf.unset(Progress.KEY);
            reason = run(Job.getInstance(conf), progress);
        } catch (Wrong wrong) {
            reason = wrong.getMessage();
        } catch (Throwable error) {
            error.printStackTrace();
            reason = told(error);
        }
        if (reason == null) {
            System.exit(0);
        }
        System.err.println(reason);
        if (fault != null) {
            try {
                Files.write(new File(fault).toPath(), reason.getBytes(StandardCharsets.UTF_8));
            } catch (IOException error) {
                error.printStackTrace();
            }
        }
        System.exit(1);
    }

    /** What the user has to put right, in whole words. */
    private static final class Wrong extends Exception {
        private static final long serialVersionUID = 1L;

        Wrong(String text) {
            super(text);
        }
    }

    /** Without this a class that is missing ends each task with a trace of its own. */
    private static void checkClasses(JobConf conf) throws Wrong {
        for (Object[] row : CLASSES) {
            String key = (String) row[0];
            String name = conf.getTrimmed(key);
            if (name == null || name.isEmpty()) {
                continue;
            }
            Class<?> found;
            try {
                found = conf.getClassByName(name);
            } catch (ClassNotFoundException | NoClassDefFoundError error) {
                String missing = error.getMessage() == null ? "" : error.getMessage().replace('/', '.');
                throw new Wrong(key + ": there is no class " + name + " in the jars of the job"
                    + (missing.contains(name) ? "; an inner class is written Outer$Inner" : " that can be loaded: it needs " + missing));
            } catch (LinkageError error) {
                throw new Wrong(key + ": the class " + name + " cannot be loaded: " + error);
            }
            Class<?> wanted = (Class<?>) row[1];
            if (!wanted.isAssignableFrom(found)) {
                throw new Wrong(key + ": the class " + name + " is no " + wanted.getName()
                    + "; classes of the other interface go under " + row[2]);
            }
        }
    }

    /** Hadoop asks for a flag beside the classes of its newer interface; the names of the settings say the same. */
    private static void chooseInterface(JobConf conf) {
        conf.setBooleanIfUnset("mapred.mapper.new-api", conf.get("mapred.mapper.class") == null);
        boolean says = conf.get("mapreduce.job.reduce.class") != null || conf.get("mapred.reducer.class") != null;
        boolean reducer = says ? conf.get("mapred.reducer.class") == null : conf.getUseNewMapper();
        conf.setBooleanIfUnset("mapred.reducer.new-api", reducer);
    }

    /** Gives the reason when the job did not succeed. */
    private static String run(Job job, Progress progress) throws Exception {
        boolean here = "local".equals(job.getConfiguration().get("mapreduce.framework.name", "local"));
        // A cluster's own Hadoop need not have this log, and tells the errors of tasks itself.
        TaskErrors errors = here ? TaskErrors.listen() : null;
        job.submit();
        if (here) {
            // Tasks are threads of this process: when it is stopped nobody else clears their output.
            ShutdownHookManager.get().addShutdownHook(
                () -> stop(job), FileSystem.SHUTDOWN_HOOK_PRIORITY + 10, CLEARING, TimeUnit.MILLISECONDS);
        }
        Thread follower = new Thread(() -> follow(job, progress, LOOK[here ? 0 : 1]));
        follower.setDaemon(true);
        follower.start();
        boolean succeeded = job.monitorAndPrintJob();
        follower.interrupt();
        follower.join(LOOK[0]);
        look(job, progress);
        if (succeeded) {
            return null;
        }
        String reason = ofTasks(job);
        if (reason == null && errors != null && errors.last() != null) {
            reason = told(errors.last());
        }
        if (reason == null) {
            String info = job.getStatus().getFailureInfo();
            boolean says = info != null && !info.isBlank() && !info.equals("NA");
            reason = says ? info.strip() : "the job ended as " + job.getJobState();
        }
        return reason;
    }

    private static void follow(Job job, Progress progress, long pause) {
        try {
            while (true) {
                look(job, progress);
                Thread.sleep(pause);
            }
        } catch (InterruptedException error) {
            // The job is over; whoever waits for it looks once more.
        }
    }

    /** Tells how far the job is. What cannot be had now is told at the next look. */
    private static void look(Job job, Progress progress) throws InterruptedException {
        try {
            boolean mapsOnly = job.getNumReduceTasks() == 0;
            double part = mapsOnly ? job.mapProgress() : (job.mapProgress() + job.reduceProgress()) / 2;
            progress.percent(100 * (job.isComplete() && job.isSuccessful() ? 1 : part));
            Counters counters = job.getCounters();
            if (counters != null) {
                Map<String, Map<String, Long>> all = new TreeMap<>();
                for (CounterGroup group : counters) {
                    Map<String, Long> names = all.computeIfAbsent(group.getDisplayName(), name -> new TreeMap<>());
                    for (Counter counter : group) {
                        names.put(counter.getDisplayName(), counter.getValue());
                    }
                }
                progress.counters(all);
            }
        } catch (IOException | RuntimeException error) {
            // Asked again.
        }
        progress.tell();
    }

    private static void stop(Job job) {
        try {
            if (!job.isComplete()) {
                job.killJob();
                while (!job.isComplete()) {
                    Thread.sleep(20);
                }
            }
        } catch (IOException | InterruptedException error) {
            System.err.println("the job could not be stopped in order: " + error);
        }
    }

    /** What the first failed task said, where a cluster knows it. */
    private static String ofTasks(Job job) {
        try {
            for (TaskCompletionEvent event : job.getTaskCompletionEvents(0, 1000)) {
                boolean failed = event.getStatus() == TaskCompletionEvent.Status.FAILED
                    || event.getStatus() == TaskCompletionEvent.Status.TIPFAILED;
                String[] said = failed ? job.getTaskDiagnostics(event.getTaskAttemptId()) : new String[0];
                if (said.length > 0) {
                    return event.getTaskAttemptId() + ": " + lines(said[0]);
                }
            }
        } catch (IOException | InterruptedException error) {
            System.err.println("the tasks cannot be asked: " + error);
        }
        return null;
    }

    /** The first line of a trace and its last cause. */
    private static String lines(String trace) {
        String[] lines = trace.strip().split("\n");
        String cause = "";
        for (String line : lines) {
            if (line.startsWith("Caused by:")) {
                cause = "; " + line.strip();
            }
        }
        return lines[0].strip() + cause;
    }

    /** An error and its deepest cause in one line; errors that only wrap another do not count. */
    private static String told(Throwable error) {
        Throwable first = error;
        while (first.getCause() != null && first.getCause().toString().equals(first.getMessage())) {
            first = first.getCause();
        }
        Throwable deepest = first;
        while (deepest.getCause() != null) {
            deepest = deepest.getCause();
        }
        if (deepest == first) {
            return lines(first.toString());
        }
        String text = lines(first.toString());
        String cause = lines(deepest.toString());
        String message = deepest.getMessage();
        return message != null && text.contains(message.strip()) ? text : text + "; caused by " + cause;
    }
}
