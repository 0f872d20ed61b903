"""The review page: HTML made of templates, plain ES modules and style sheets, nothing from elsewhere."""
