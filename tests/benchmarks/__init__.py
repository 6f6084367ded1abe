"""What `make bench` runs: otp_enroll beside raw drivers and other libraries, in the same rounds."""
