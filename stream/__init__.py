"""The online path: samples in, aggregates kept, forecasts and windows out over HTTP and on a page."""
