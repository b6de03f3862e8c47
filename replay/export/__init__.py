"""The log as other tools read it: lines of JSON, CSV, hledger and beancount."""
