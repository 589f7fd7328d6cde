"""What Stepwell is deployed from (`resources.yaml`, `park.asl.json`) and the stack that stands in for AWS on one machine."""
