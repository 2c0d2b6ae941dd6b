"""What an invoice is: its document, its identifiers, its rules, the bytes that are signed. Pure."""
