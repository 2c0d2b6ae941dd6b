"""The only room with SQL: what was numbered, signed, granted, uploaded and done, behind one interface."""
