"""One reader a format: a path in, `jaxlin.data.raw.RawData` out, or a `DataFormatError`."""
