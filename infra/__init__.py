"""What Stepwell is deployed from (`resources.yaml`, `park.asl.json`), and what stands in for AWS on one machine."""
