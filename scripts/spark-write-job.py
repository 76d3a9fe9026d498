"""The job of `make spark-write`: writes data sets, one for each line of its input, and reads them.

A line is a JSON object: `how` (`parquet` or `text`), `path`, and by the first of them `mode` and
`options` of the write. With `read` instead of `how`, rows are counted. Answers a line for each.
"""

import json
import sys

from pyspark.sql import SparkSession

ROWS = 20_000
FILES = 4
TEXT = "org.apache.hadoop.mapreduce.lib.output.TextOutputFormat"
KEY = "org.apache.hadoop.io.IntWritable"


def step(spark, what):
    """Carries one out; the rows that were read, if any."""
    if "read" in what:
        return getattr(spark.read, what["read"])(what["path"]).count()
    if what["how"] == "text":
        # Of the commit protocols in Spark's own JARs, only that of RDDs leaves it to the committer
        # where files are written first.
        rows = spark.sparkContext.range(0, ROWS, 1, FILES).map(lambda number: (number, number))
        rows.saveAsNewAPIHadoopFile(what["path"], TEXT, KEY, KEY, conf=what["options"])
    else:
        rows = spark.range(0, ROWS, 1, FILES).write.options(**what["options"])
        rows.mode(what["mode"]).parquet(what["path"])
    return None


def main():
    spark = SparkSession.builder.getOrCreate()
    print("{}", flush=True)
    for line in sys.stdin:
        try:
            answer = {"rows": step(spark, json.loads(line))}
        except Exception as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
