"""What several tests share: servers, browsers, scanners, and stores that are broken on purpose."""
