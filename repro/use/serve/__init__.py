"""A local web server with two parts: the results, and live recognition on the browser's camera."""
