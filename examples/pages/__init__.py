"""The pages that the example apps share: templates, style, texts, and what chooses among them."""
