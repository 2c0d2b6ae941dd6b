"""The upload of issued invoices to the authority, at its own pace."""
