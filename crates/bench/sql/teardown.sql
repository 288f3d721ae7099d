-- Removes what setup.sql made.
DROP SCHEMA IF EXISTS pgmill_bench CASCADE;
