-- When a row was last written, in microseconds since 1970 by Redis's clock: of
-- a write that waited in Redis and one that did not, the later stays.
ALTER TABLE profiles ADD COLUMN stamp BIGINT NOT NULL DEFAULT 0;
