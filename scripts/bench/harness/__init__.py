"""What the benches share: parts found by file, timing, bars, tables, pages."""
