"""What gunicorn does: it loads the application once, and each worker that it forks delivers."""

preload_app = True
workers = 2


def post_worker_init(worker: object) -> None:
    from flask_application import flow

    flow.start()
