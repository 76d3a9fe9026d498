"""The job of `make spark`: reads a text through Hadoop's S3 connector, on every executor.

Writes to the file named first what it found; the text is the second argument.
"""

import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions

EXECUTORS = 2
PATIENCE_SECONDS = 180
CONNECTOR = "org.apache.hadoop.fs.s3a.S3AFileSystem"


def executors_that_worked(spark):
    """How many executors have finished a task."""
    summaries = spark._jsc.sc().statusStore().executorList(True)
    tasks = [summaries.apply(n).completedTasks() for n in range(summaries.size())]
    return sum(1 for count in tasks if count > 0)


def read(spark, text):
    """Lines and characters of the text, in eight tasks."""
    length = functions.sum(functions.length("value"))
    row = spark.read.text(text).agg(functions.count("*"), length).first()
    return [row[0], row[1]]


def main(answer, text):
    spark = SparkSession.builder.getOrCreate()
    context = time.time()
    # An executor that still fetches its JARs takes no task: read until all have had one.
    deadline = time.monotonic() + PATIENCE_SECONDS
    found = read(spark, text)
    first = time.time()
    while executors_that_worked(spark) < EXECUTORS:
        if time.monotonic() > deadline:
            sys.exit(f"not all {EXECUTORS} executors worked within {PATIENCE_SECONDS} s")
        time.sleep(0.5)
        if read(spark, text) != found:
            sys.exit("the text changed")
    loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()
    source = loader.loadClass(CONNECTOR).getProtectionDomain().getCodeSource().getLocation()
    spark.stop()
    with open(answer, "w", encoding="utf-8") as file:
        facts = {"context": context, "first_answer": first, "found": found}
        json.dump(facts | {"class_from": source.getPath()}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
