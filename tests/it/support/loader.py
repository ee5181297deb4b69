"""The boot loader of a BK7231T dump, run in a CPU emulator (unicorn), with its UART at a pseudo terminal.

The code is the dump's own; nothing of it is kept here. What is modelled around it: the flash with its controller, the
UART, one interrupt, a tick, the watchdog, and how long waiting and receiving take. The time of the flash is not, and the
terminal carries bytes whatever rate its other end is set to.

    loader.py serve DUMP CHIP ID [ONE_IN SEED]   the path on stdout, then serves until SIGTERM, which writes the flash to CHIP;
                                                 one byte in ONE_IN is dropped, flipped or doubled in either direction
    loader.py count DUMP                         instructions and memory accesses of its CRC, per byte
"""

import os
import pty
import random
import select
import signal
import struct
import sys
import time
import tty

from unicorn import UC_ARCH_ARM, UC_HOOK_CODE, UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE, UC_MODE_ARM, Uc
from unicorn.arm_const import UC_ARM_REG_CPSR, UC_ARM_REG_LR, UC_ARM_REG_PC, UC_ARM_REG_SP, UC_ARM_REG_SPSR
from unicorn.arm_const import UC_ARM_REG_R4, UC_ARM_REG_R5, UC_ARM_REG_R6, UC_ARM_REG_R7

# Places in version 1.0.5 of the loader.
IRQ = 0x18
APPLICATION = 0x10000
HANGS = (0xB8AC, 0xBCBC)  # it waits for the watchdog
TICKS = 0x4000CC
TABLE, TABLE_ENDS = 0x8648, 0x1FFF0  # fills the table of the CRC
CRC, CRC_ENDS = 0xB9F8, 0xBA00  # sums up R7 bytes from R6

# What a firmware takes for a wish to start anew.
REBOOT = (b"reboot\r\n", bytes.fromhex("01E0FC05FE95279527"))
# What one of its instructions takes, in seconds: 2.8 cycles of 120 MHz. While nothing comes the loader counts polls, which is
# its only measure of time, and resets the chip after 400,001 of them.
INSTRUCTION = 2.8 / 120e6
SLICE = 20_000
# A person touches CEN when the program has asked for so long in vain.
PATIENCE = 2.0


def decrypted(flash):
    """The loader as the CPU sees it: without block CRCs, decrypted with the default key."""
    c0, c2 = 0x510FB093, 0x5993A17E
    stored = b"".join(flash[at : at + 32] for at in range(0, 0x11000 - 33, 34))[:APPLICATION]
    plain = []
    for index, word in enumerate(struct.unpack(f"<{len(stored) // 4}I", stored)):
        at = index * 4
        # The last word of the key, C7ADEB03, turns the address by a byte and leaves two of the three sequences out.
        mixed = ((at >> 8 | at << 24) & 0xFFFFFFFF) ^ c0
        nibble = (mixed >> 2) & 0xF
        stream = ((mixed << 17 | mixed >> 15) & 0xFFFFFFFF) ^ (0xE519A4F1 & (nibble * 0x11111111)) ^ c2
        plain.append(word ^ stream)
    return struct.pack(f"<{len(plain)}I", *plain)


class Flash:
    """The NOR flash behind the controller at 0x803000, locked as the factory leaves it."""

    def __init__(self, cells, jedec):
        self.cells, self.jedec = bytearray(cells), jedec
        self.status = 0x5C if jedec[0] == 0x1C else 0x4004
        self.conf, self.given, self.taken, self.shown = 0, b"", b"", 0

    def locked(self):
        return self.status & 0x7C != 0

    def operate(self, value):
        operation, at = value >> 24 & 0x1F, (value & 0xFFFFFF) % len(self.cells)
        if operation == 5:
            self.taken = bytes(self.cells[at : at + 32])
        elif operation == 12:
            data, self.given = self.given[-32:], b""
            for index, byte in enumerate(b"" if self.locked() else data):
                self.cells[at & ~0xFF | at + index & 0xFF] &= byte
        elif operation in (13, 15) and not self.locked():
            size = 0x1000 if operation == 13 else 0x10000
            self.cells[at & -size : (at & -size) + size] = b"\xff" * size
        elif operation in (3, 6):
            self.shown = self.status >> (0 if operation == 3 else 8) & 0xFF
        elif operation in (4, 7):
            self.status = self.conf >> 10 & (0xFF if operation == 4 else 0xFFFF)


class Chip:
    """CPU, memory, and the few registers that the loader uses."""

    def __init__(self, flash):
        self.flash, self.sent, self.coming, self.fifo = flash, bytearray(), bytearray(), bytearray()
        self.start()

    def start(self):
        self.registers, self.pc, self.runs_firmware = {}, 0, False
        self.coming.clear()
        self.fifo.clear()
        self.cpu = Uc(UC_ARCH_ARM, UC_MODE_ARM)
        self.cpu.mem_map(0, 0x11000)
        self.cpu.mem_write(0, decrypted(bytes(self.flash.cells)))
        self.cpu.mem_write(APPLICATION, bytes.fromhex("FEFFFFEA") * 64)
        self.cpu.mem_map(0x3F0000, 0x60000)
        self.cpu.mmio_map(0x800000, 0x10000, self.load, None, self.store, None)

    def load(self, _cpu, at, _size, _user):
        flash = self.flash
        if at == 0x3008:
            word, flash.taken = flash.taken[:4], flash.taken[4:]
            return int.from_bytes(word, "little")
        if at in (0x2108, 0x2208):
            return 0x120000 | (0x200000 if self.fifo and at == 0x2108 else 0)
        if at == 0x210C:
            return self.fifo.pop(0) if self.fifo else 0
        waiting = bool(self.fifo)
        known = {
            0x204C: int(waiting),
            0x2114: 0x42 * waiting,
            0x3000: 0,
            0x3010: int.from_bytes(flash.jedec, "big"),
            0x3014: flash.shown,
            0x301C: flash.conf,
        }
        return known.get(at, self.registers.get(at, 0))

    def store(self, _cpu, at, _size, value, _user):
        if at == 0x3000 and value & 0x20000000:
            self.flash.operate(value)
        elif at == 0x3004:
            self.flash.given += struct.pack("<I", value)
        elif at == 0x301C:
            self.flash.conf = value
        elif at == 0x210C:
            self.sent.append(value & 0xFF)
        else:
            self.registers[at] = value

    def rate(self):
        """What the loader has set its UART to, in baud."""
        return 26_000_000 // ((self.registers.get(0x2100, 0xE100) >> 8 & 0x1FFF) + 1)

    def run(self, instructions):
        """Goes on for a while. Bytes come in as the loader takes them, so that its ring never overflows."""
        cpu = self.cpu
        if self.coming and not self.fifo:
            self.fifo += self.coming[:64]
            del self.coming[:64]
        status = cpu.reg_read(UC_ARM_REG_CPSR)
        if self.fifo and not status & 0x80:
            cpu.reg_write(UC_ARM_REG_CPSR, status & ~0x3F | 0x92)
            cpu.reg_write(UC_ARM_REG_LR, self.pc + 4)
            cpu.reg_write(UC_ARM_REG_SPSR, status)
            self.pc = IRQ
        ticks = int.from_bytes(cpu.mem_read(TICKS, 4), "little")
        cpu.mem_write(TICKS, struct.pack("<I", ticks + 1 & 0xFFFFFFFF))
        cpu.emu_start(self.pc, 0xFFFFFFF0, count=instructions)
        self.pc = cpu.reg_read(UC_ARM_REG_PC)
        if self.pc in HANGS:
            self.start()
        self.runs_firmware = APPLICATION <= self.pc < APPLICATION + 0x1000


class Line:
    """Drops, flips or doubles one byte in so many; to the chip, bytes take their time at the rate of the chip."""

    def __init__(self, one_in, seed):
        self.one_in, self.chance = one_in, random.Random(seed)
        self.waiting, self.since = bytearray(), time.monotonic()

    def arrived(self, rate):
        """What has reached the chip by now."""
        now = time.monotonic()
        count = int((now - self.since) * rate / 10)
        if not self.waiting or count:
            self.since = now
        out = bytes(self.waiting[:count])
        del self.waiting[:count]
        return out

    def carry(self, data):
        if not self.one_in:
            return data
        out = bytearray()
        for byte in data:
            hit = self.chance.randrange(3) if self.chance.randrange(self.one_in) == 0 else None
            flipped = byte ^ 1 << self.chance.randrange(8)
            out.extend({None: [byte], 0: [], 1: [flipped], 2: [byte, byte]}[hit])
        return bytes(out)


def serve(dump, chip_file, jedec, one_in="0", seed="1"):
    with open(dump, "rb") as file:
        chip = Chip(Flash(file.read(), bytes.fromhex(jedec)))
    master, slave = pty.openpty()
    tty.setraw(slave)
    line = Line(int(one_in), int(seed))
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    print(os.ttyname(slave), flush=True)
    heard, answered, spoken = b"", time.monotonic(), 0.0
    while not ended:
        busy = line.waiting or not chip.runs_firmware
        if select.select([master], [], [], 0 if busy else 0.01)[0]:
            line.waiting += line.carry(os.read(master, 4096))
        data = line.arrived(chip.rate())
        if data:
            if time.monotonic() - spoken > PATIENCE / 2:
                answered = time.monotonic()
            spoken = time.monotonic()
            heard = (heard + data)[-64:]
            asked = any(wish in heard for wish in REBOOT) and chip.runs_firmware
            if asked or time.monotonic() - answered > PATIENCE:
                heard, answered = b"", time.monotonic()
                chip.start()
            elif not chip.runs_firmware:
                chip.coming += data
        if not chip.runs_firmware:
            idle, began = not chip.coming, time.monotonic()
            chip.run(SLICE)
            if idle and not chip.sent:
                time.sleep(max(0.0, SLICE * INSTRUCTION - (time.monotonic() - began)))
        if chip.sent:
            os.write(master, line.carry(bytes(chip.sent)))
            chip.sent.clear()
            answered = time.monotonic()
    with open(chip_file, "wb") as file:
        file.write(chip.flash.cells)


def count(dump, size=0x4000):
    with open(dump, "rb") as file:
        chip = Chip(Flash(file.read(), bytes.fromhex("EB6015")))
    cpu, counts = chip.cpu, {"instructions": 0, "accesses": 0}
    cpu.mem_map(0x1F000, 0x1000)
    cpu.reg_write(UC_ARM_REG_SP, 0x43F000)
    cpu.reg_write(UC_ARM_REG_LR, TABLE_ENDS)
    cpu.emu_start(TABLE, TABLE_ENDS)

    def counted(what):
        def hook(*_):
            counts[what] += 1

        return hook

    cpu.hook_add(UC_HOOK_CODE, counted("instructions"))
    cpu.hook_add(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, counted("accesses"))
    for register, value in [(UC_ARM_REG_R4, 0), (UC_ARM_REG_R5, 0xFFFFFFFF), (UC_ARM_REG_R6, 0x11000), (UC_ARM_REG_R7, size)]:
        cpu.reg_write(register, value)
    cpu.emu_start(CRC, CRC_ENDS)
    print(cpu.reg_read(UC_ARM_REG_R5), *(counts[what] / size for what in ("instructions", "accesses")))


if __name__ == "__main__":
    {"serve": serve, "count": count}[sys.argv[1]](*sys.argv[2:])
