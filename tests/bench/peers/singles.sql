-- As deploy/flink/means.sql, of messages with one sample each.

SET 'pipeline.name' = 'singles';
SET 'table.local-time-zone' = 'UTC';

CREATE TABLE reports (
  vm STRING,
  host STRING,
  ts BIGINT,
  cpu DOUBLE,
  reported_at AS TO_TIMESTAMP_LTZ(ts, 0),
  WATERMARK FOR reported_at AS reported_at - INTERVAL '3' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = 'samples',
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'properties.group.id' = 'singles',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'format' = 'json',
  'json.ignore-parse-errors' = 'true'
);

CREATE TABLE means (
  vm STRING,
  host STRING,
  ts BIGINT,
  cpu DOUBLE
) WITH (
  'connector' = 'blackhole'
);

INSERT INTO means
SELECT vm, host, UNIX_TIMESTAMP(DATE_FORMAT(window_start, 'yyyy-MM-dd HH:mm:ss')), AVG(cpu)
FROM TABLE(TUMBLE(TABLE reports, DESCRIPTOR(reported_at), INTERVAL '5' MINUTE))
GROUP BY window_start, window_end, vm, host
HAVING AVG(cpu) IS NOT NULL;
