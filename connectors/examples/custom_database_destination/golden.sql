CREATE TABLE IF NOT EXISTS "public"."orders" ("id" BIGINT NOT NULL, "price" DECIMAL(18,6), "name" VARCHAR(65535), "extra" SUPER, "at" TIMESTAMP, "day" DATE, "rate" DOUBLE PRECISION, "is_new" BOOLEAN, PRIMARY KEY ("id"))
CREATE TABLE "public"."orders" ("id" BIGINT NOT NULL, "price" DECIMAL(18,6), "name" VARCHAR(65535), "extra" SUPER, "at" TIMESTAMP, "day" DATE, "rate" DOUBLE PRECISION, "is_new" BOOLEAN) DISTSTYLE KEY DISTKEY("id") SORTKEY("id")
ALTER TABLE "public"."orders" ADD COLUMN "extra" SUPER DEFAULT NULL
