# SPDX-License-Identifier: BSD-3-Clause
"""line_server.py: answers `version` on port 11211 as memcached does and `PING` on port 6379 as Redis does, each
answer in two pieces. Says "ready" when both ports are open."""
import asyncio

ANSWERS = {11211: (b"version\r\n", b"VERSION 1.6.18\r\n"), 6379: (b"PING\r\n", b"+PONG\r\n")}


async def talk(reader, writer):
    question, answer = ANSWERS[writer.get_extra_info("sockname")[1]]
    while line := await reader.readline():
        if line != question:
            answer = b"ERROR\r\n"
        writer.write(answer[:3])
        await writer.drain()
        writer.write(answer[3:])
    writer.close()


async def main():
    servers = [await asyncio.start_server(talk, port=port) for port in ANSWERS]
    print("ready", flush=True)
    await asyncio.gather(*(s.serve_forever() for s in servers))

asyncio.run(main())
