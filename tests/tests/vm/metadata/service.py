#!/usr/bin/python3
"""Answers everybody, like the metadata service of an instance."""
import socketserver


class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"credentials\n")


socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer(("169.254.169.254", 80), Answer).serve_forever()
