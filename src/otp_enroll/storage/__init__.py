"""Where enrollments are kept: the protocol, the document's form, and one module per database."""
