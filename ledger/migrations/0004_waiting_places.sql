-- What waits for its signature by the key that has to make it: one that is away is passed by in one
-- look, however much waits for it.

DROP INDEX invoice_reserved;
CREATE INDEX invoice_reserved ON invoice (tax_number, machine_number) WHERE state = 'RESERVED';

DROP INDEX statement_reserved;
CREATE INDEX statement_reserved ON statement (tax_number, machine_number) WHERE state = 'RESERVED';
