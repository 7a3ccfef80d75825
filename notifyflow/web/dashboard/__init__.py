"""The dashboard: pages for people who are logged in. Each page is a module whose routes declare who may use them."""
