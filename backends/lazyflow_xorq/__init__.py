"""lazyflow on pandas frames."""
