"""What `make` runs beside the tools it gets: generators and reports over this repository."""
