"""Object stores: paths that are URLs, range reads with a bounded cache on disk, and folders that are uploaded."""
