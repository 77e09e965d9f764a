package io.foggara;

import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.LoggerContext;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;

/**
 * Listens to the log for the error of a failed task: Hadoop's local runner tells it there and nowhere else. Its status has no
 * failure info, and it keeps no diagnostics of tasks.
 */
final class TaskErrors extends AbstractAppender {
    private volatile Throwable last;

    private TaskErrors() {
        super("foggara", null, null, true, Property.EMPTY_ARRAY);
    }

    /** Begins to listen. */
    static TaskErrors listen() {
        TaskErrors errors = new TaskErrors();
        errors.start();
        LoggerContext context = (LoggerContext) LogManager.getContext(false);
        context.getConfiguration().getRootLogger().addAppender(errors, Level.WARN, null);
        return errors;
    }

    @Override
    public void append(LogEvent event) {
        if (event.getThrown() != null && event.getLoggerName().equals("org.apache.hadoop.mapred.LocalJobRunner")) {
            last = event.getThrown();
        }
    }

    /** The newest error; null when there was none. */
    Throwable last() {
        return last;
    }
}
