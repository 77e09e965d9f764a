package io.foggara;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.jar.JarFile;

/**
 * Starts a program whose arguments hold secrets: they come from a file that only the job's user can read, since everybody sees a
 * command line. The file's first line is the class, or empty for the main class of the jar in the second line; each further line
 * is an argument in Base64.
 */
public final class Launch {
    private Launch() {}

    /** @param words the file's path */
    public static void main(String[] words) throws Throwable {
        List<String> lines = Files.readAllLines(Path.of(words[0]), StandardCharsets.UTF_8);
        String name = lines.get(0);
        if (name.isEmpty()) {
            try (JarFile jar = new JarFile(lines.get(1))) {
                name = jar.getManifest().getMainAttributes().getValue("Main-Class");
            }
            if (name == null) {
                throw new IllegalArgumentException("no class is given, and the jar's manifest names none");
            }
        }
        String[] args = new String[lines.size() - 2];
        for (int at = 0; at < args.length; at++) {
            args[at] = new String(Base64.getDecoder().decode(lines.get(at + 2)), StandardCharsets.UTF_8);
        }
        Class<?> program = Class.forName(name, true, Thread.currentThread().getContextClassLoader());
        try {
            program.getMethod("main", String[].class).invoke(null, (Object) args);
        } catch (java.lang.reflect.InvocationTargetException error) {
            throw error.getCause();
        }
    }
}
