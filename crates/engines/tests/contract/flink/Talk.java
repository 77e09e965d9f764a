import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.table.functions.ScalarFunction;
import org.apache.flink.util.ParameterTool;

/** A job of the tests: `Talk FOLDER how`. What lies in FOLDER/say it prints; it ends when there is FOLDER/over. */
public class Talk {
  static class Words implements MapFunction<Long, Long> {
    private final String folder;

    Words(String folder) {
      this.folder = folder;
    }

    @Override
    public Long map(Long n) throws Exception {
      Path say = Path.of(folder, "say");
      Path over = Path.of(folder, "over");
      while (!Files.exists(over)) {
        if (Files.exists(say)) {
          System.out.print(Files.readString(say));
          System.out.flush();
          Files.delete(say);
        }
        Thread.sleep(20);
      }
      return n;
    }
  }

  /** A function for SQL. */
  public static class Twice extends ScalarFunction {
    public Integer eval(Integer n) {
      return n * 2;
    }
  }

  static Long nap(Long n) throws Exception {
    Thread.sleep(1);
    return n;
  }

  public static void main(String[] args) throws Exception {
    String how = args[1];
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    if (how.equals("throws")) throw new IllegalStateException("the program has had enough");
    if (how.equals("nothing")) return;
    // As many examples of Flink do; whoever looks for a tag among these finds none.
    if (how.equals("hides")) env.getConfig().setGlobalJobParameters(ParameterTool.fromMap(Map.of("x", "y")));
    if (how.equals("wide")) env.setParallelism(8);
    if (how.equals("fails")) {
      env.fromSequence(1, 1).map(n -> n / (n - 1)).returns(Types.LONG).sinkTo(new DiscardingSink<>());
    } else if (how.equals("counts")) {
      env.fromSequence(1, Long.MAX_VALUE).map(n -> nap(n)).returns(Types.LONG).sinkTo(new DiscardingSink<>());
    } else {
      env.fromSequence(1, 1).map(new Words(args[0])).sinkTo(new DiscardingSink<>());
    }
    if (how.equals("hides")) env.execute("a name of its own"); else env.execute();
    if (how.equals("late")) throw new IllegalStateException("after all");
  }
}
