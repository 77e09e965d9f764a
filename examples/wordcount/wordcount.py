"""Counts the words of a text with Spark, in the same way as mapper.sh and reducer.sh: wordcount.py INPUT OUTPUT"""
import re
import sys

from pyspark.sql import SparkSession

source, target = sys.argv[1], sys.argv[2]
spark = SparkSession.builder.appName("wordcount").getOrCreate()
words = spark.sparkContext.textFile(source).flatMap(lambda line: re.findall("[A-Za-z]+", line))
counts = words.map(lambda word: (word.lower(), 1)).reduceByKey(lambda one, other: one + other)
counts.map(lambda pair: "%s\t%d" % pair).saveAsTextFile(target)
spark.stop()
