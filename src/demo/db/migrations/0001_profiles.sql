CREATE TABLE profiles (
    user_id    TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    email      TEXT   NOT NULL,
    age        BIGINT NOT NULL,
    version    BIGINT NOT NULL DEFAULT 1,
    updated_at BIGINT NOT NULL -- milliseconds since 1970, UTC
);

-- What was edited lately, to take back copies of it at the next start.
CREATE INDEX profiles_edited ON profiles (updated_at) WHERE version > 1;
