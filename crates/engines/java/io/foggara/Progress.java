package io.foggara;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.TreeMap;

/**
 * Tells how far a job is, and what it counts: a small file of JSON, put in place by a rename, that the service reads. What cannot be
 * told is not worth a failure of the job.
 */
final class Progress {
    /** The setting that names the file. */
    static final String KEY = "foggara.progress.file";

    private final Path file;
    private Map<String, Map<String, Long>> counters = new TreeMap<>();
    private double percent;
    private String told = "";

    /** @param file where; null for nowhere */
    Progress(String file) {
        this.file = file == null ? null : Path.of(file);
    }

    /** Percent of the work, from 0 to 100. */
    synchronized void percent(double percent) {
        this.percent = percent;
    }

    /** Counters by the name of their group. */
    synchronized void counters(Map<String, Map<String, Long>> counters) {
        this.counters = counters;
    }

    /** Writes it down where it changed. */
    synchronized void tell() {
        String text = json();
        if (file == null || text.equals(told)) {
            return;
        }
        try {
            Path draft = file.resolveSibling(file.getFileName() + ".new");
            Files.write(draft, text.getBytes(StandardCharsets.UTF_8));
            Files.move(draft, file, StandardCopyOption.ATOMIC_MOVE);
            told = text;
        } catch (IOException | RuntimeException error) {
            System.err.println("the progress cannot be told: " + error);
        }
    }

    private String json() {
        StringBuilder text = new StringBuilder("{\"percent\":").append(percent).append(",\"counters\":{");
        String between = "";
        for (Map.Entry<String, Map<String, Long>> group : counters.entrySet()) {
            text.append(between).append(quoted(group.getKey())).append(":{");
            String comma = "";
            for (Map.Entry<String, Long> counter : group.getValue().entrySet()) {
                text.append(comma).append(quoted(counter.getKey())).append(':').append(counter.getValue());
                comma = ",";
            }
            text.append('}');
            between = ",";
        }
        return text.append("}}").toString();
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            if (letter == '"' || letter == '\\' || letter < ' ' || Character.isSurrogate(letter)) {
                quoted.append(String.format("\\u%04x", (int) letter));
            } else {
                quoted.append(letter);
            }
        }
        return quoted.append('"').toString();
    }
}
