"""A stand-in for a web server, Google Cloud Storage and S3 at once, which caps each connection and answers late."""
