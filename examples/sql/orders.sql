-- Runs on Spark and on the embedded engine alike. ${place} is the folder of orders.csv.
DROP TABLE IF EXISTS quickstart_orders;
CREATE EXTERNAL TABLE quickstart_orders (day STRING, town STRING, item STRING, pieces INT, price DOUBLE)
  ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION '${place}';
SELECT town, count(*) AS orders, sum(pieces) AS pieces, round(sum(pieces * price), 2) AS revenue
  FROM quickstart_orders GROUP BY town ORDER BY revenue DESC;
DROP TABLE quickstart_orders;
