"""AWS: mail over SES, push messages and texts over SNS, and the events that both report."""
