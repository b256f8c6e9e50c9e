CREATE TABLE products (
    id          BIGINT NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    price_cents BIGINT NOT NULL
);

WITH RECURSIVE ids(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 1000)
INSERT INTO products (id, name, price_cents)
SELECT id,
       CASE id WHEN 123 THEN 'Laptop' ELSE 'Product ' || id END,
       CASE id WHEN 123 THEN 99900 ELSE 10000 END
FROM ids;
