-- 5-minute means of host reports, for those who have Flink already: Xiao Zhuge then reads `means` instead of the reports.
-- README.md beside this file says how to run it, what to change, and what is lost on the way.

SET 'pipeline.name' = 'zhuge-means';
SET 'table.local-time-zone' = 'UTC';
SET 'table.exec.source.idle-timeout' = '60 s';
SET 'execution.checkpointing.interval' = '30 s';

-- One message a host and minute: {"host": "h1", "ts": 1773144000, "vm": ["a", "b"], "cpu": [12.5, 0.0]}
-- `ts` is epoch seconds UTC, `cpu` percent; a cpu of null is a gap.
CREATE TABLE reports (
  host STRING,
  ts BIGINT,
  vm ARRAY<STRING>,
  cpu ARRAY<DOUBLE>,
  reported_at AS TO_TIMESTAMP_LTZ(ts, 0),
  WATERMARK FOR reported_at AS reported_at - INTERVAL '3' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = 'samples',
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'properties.group.id' = 'zhuge-means',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'format' = 'json',
  'json.ignore-parse-errors' = 'true'
);

-- One message a VM and 5 minutes, keyed by the host as the reports should be: {"vm": "a", "host": "h1", "ts": 1773144000, "cpu": 12.5}
-- `ts` is the beginning of the 5 minutes.
CREATE TABLE means (
  vm STRING,
  host STRING,
  ts BIGINT,
  cpu DOUBLE
) WITH (
  'connector' = 'kafka',
  'topic' = 'means',
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'key.format' = 'raw',
  'key.fields' = 'host',
  'value.format' = 'json',
  'sink.delivery-guarantee' = 'at-least-once'
);

CREATE TEMPORARY VIEW samples AS
SELECT u.vm, r.host, r.reported_at, r.cpu[CAST(u.place AS INT)] AS cpu
FROM reports AS r CROSS JOIN UNNEST(r.vm) WITH ORDINALITY AS u (vm, place)
WHERE CARDINALITY(r.vm) = CARDINALITY(r.cpu);

INSERT INTO means
SELECT vm, host, UNIX_TIMESTAMP(DATE_FORMAT(window_start, 'yyyy-MM-dd HH:mm:ss')), AVG(cpu)
FROM TABLE(TUMBLE(TABLE samples, DESCRIPTOR(reported_at), INTERVAL '5' MINUTE))
GROUP BY window_start, window_end, vm, host
HAVING AVG(cpu) IS NOT NULL;
