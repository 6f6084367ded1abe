"""Where enrollments are kept: the protocol, the document's form, and one module per database.

An adapter needs ``protocol`` alone. Each module that imports a driver or cryptography is a leaf
which nothing else imports, so that an app installs and loads only what it uses.
"""
