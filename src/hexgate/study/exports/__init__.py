"""A study as tables, texts and workbooks."""
