"""What short Spark jobs of the tests load: a catalogue of Hive, a statement, a program in Python. scripts/setup-spark.sh runs it once to
put the classes into an archive, from which the JVMs of the tests then start."""

from pyspark.sql import SparkSession

spark = SparkSession.builder.enableHiveSupport().getOrCreate()
spark.sql("CREATE TABLE words (word STRING, many INT)")
spark.sql("INSERT INTO words VALUES ('a', 1), ('b', 2)")
spark.sql("SELECT word, sum(many) FROM words GROUP BY word ORDER BY word").collect()
spark.sparkContext.parallelize(range(10), 2).map(lambda n: (n % 2, n)).reduceByKey(lambda a, b: a + b).collect()
