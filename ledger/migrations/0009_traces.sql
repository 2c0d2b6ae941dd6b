-- The trace that an event belongs to, W3C's traceparent of the call that made it, so that its upload is
-- told of in the same trace, also after a restart. NULL for all that is not sampled.
ALTER TABLE outbox ADD COLUMN traceparent TEXT;
