"""Where aggregates, forecasts and control records live: protocols, and one file for each driver."""
