"""The stores on a database: SQLAlchemy Core writes every statement, the driver itself runs them."""
