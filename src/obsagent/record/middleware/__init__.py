"""What watches the requests of a server from outside of its app: pure ASGI and WSGI, which import no framework.

app = obsagent.ASGIMiddleware(app)          FastAPI, Starlette, Litestar, Django
app = obsagent.WSGIMiddleware(app)          Flask, Django

asgi, wsgi      the middlewares
watching        what both have in common: which client, which requests, by which name
served          one request, from its start to the last byte of its response
serving         what the requests of one client share: their instruments, and how many are in flight
headers         when the request began to wait, its id and its trace
templates, starlette, telling     which route a request has taken
"""
