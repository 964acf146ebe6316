-- Shows dddns datagrams in Wireshark: every field of formats.md by name, and what makes a datagram malformed.
--
--   wireshark -X lua_script:spec/dddns.lua        or copy this file into the personal Lua plugins folder
--
-- UDP port 7733 is taken for dddns. On other ports a datagram is recognised by its form, and with it the rest of its
-- conversation; for anything else there is Analyze > Decode As. Tags, seals and handshakes are not checked, and sealed
-- bodies not opened: that takes keys, see `dddns decode --help`.
--
-- Wireshark 3.6 or later (Lua 5.2 to 5.4).

local dddns = Proto("dddns", "dddns: nodes on floating addresses")

local PORT = 7733
local MAGIC_VERSION = 0xD1
local MAX_DATAGRAM = 1232
local HEADER, SEAL, TAG = 16, 16, 16

local INITIATION, RESPONSE, COOKIE_REPLY = 0x01, 0x02, 0x03
local HEARTBEAT, HEARTBEAT_ACK, PATH_CHALLENGE, PATH_RESPONSE = 0x10, 0x11, 0x12, 0x13
local LEAVE, CONFLICT = 0x14, 0x15
local LOCATE, LOCATED, RENDEZVOUS, MEMBERS_REQUEST, MEMBERS = 0x20, 0x21, 0x22, 0x23, 0x24

local TYPES = {
  [INITIATION] = "Initiation", [RESPONSE] = "Response", [COOKIE_REPLY] = "CookieReply",
  [HEARTBEAT] = "Heartbeat", [HEARTBEAT_ACK] = "HeartbeatAck",
  [PATH_CHALLENGE] = "PathChallenge", [PATH_RESPONSE] = "PathResponse",
  [LEAVE] = "Leave", [CONFLICT] = "Conflict",
  [LOCATE] = "Locate", [LOCATED] = "Located", [RENDEZVOUS] = "Rendezvous",
  [MEMBERS_REQUEST] = "MembersRequest", [MEMBERS] = "Members",
  [0x30] = "Relay", [0x31] = "Data",
}

-- The plain body of each tagged type: a fixed part and a list of `min` to `max` entries of `entry` bytes.
local BODIES = {
  [HEARTBEAT] = { fixed = 34 },
  [HEARTBEAT_ACK] = { fixed = 34 },
  [PATH_CHALLENGE] = { fixed = 8 },
  [PATH_RESPONSE] = { fixed = 8 },
  [LEAVE] = { fixed = 0 },
  [CONFLICT] = { fixed = 0 },
  [LOCATE] = { sealed = true, fixed = 1, entry = 16, min = 1, max = 8 },
  [LOCATED] = { sealed = true, fixed = 1, entry = 39, min = 0, max = 16 },
  [RENDEZVOUS] = { sealed = true, fixed = 17, entry = 18, min = 1, max = 4 },
  [MEMBERS_REQUEST] = { sealed = true, fixed = 16 },
  [MEMBERS] = { sealed = true, fixed = 2, entry = 121, min = 0, max = 9 },
}

local MODES = { [0] = "between members", [1] = "joining by invite" }

local f = {
  magic = ProtoField.uint8("dddns.magic", "Magic and version", base.HEX),
  version = ProtoField.uint8("dddns.version", "Version", base.DEC, nil, 0x0F),
  type = ProtoField.uint8("dddns.type", "Type", base.HEX, TYPES),
  zero = ProtoField.bytes("dddns.zero", "Zero"),
  -- Handshakes
  mode = ProtoField.uint8("dddns.mode", "Mode", base.DEC, MODES),
  sender = ProtoField.uint32("dddns.sender", "Sender index", base.HEX),
  invite = ProtoField.bytes("dddns.invite", "Invite ID"),
  ephemeral = ProtoField.bytes("dddns.noise.e", "Noise: ephemeral public key"),
  static = ProtoField.bytes("dddns.noise.s", "Noise: encrypted static public key"),
  payload = ProtoField.bytes("dddns.noise.payload", "Noise: encrypted payload"),
  mac1 = ProtoField.bytes("dddns.mac1", "mac1"),
  mac2 = ProtoField.bytes("dddns.mac2", "mac2"),
  random = ProtoField.bytes("dddns.cookie.random", "Random"),
  cookie = ProtoField.bytes("dddns.cookie.sealed", "Sealed cookie"),
  -- Tagged datagrams
  step = ProtoField.uint8("dddns.step", "Step (the sender's T modulo 256)", base.DEC),
  flags = ProtoField.uint8("dddns.flags", "Flags", base.HEX),
  receiver = ProtoField.uint32("dddns.receiver", "Receiver index", base.HEX),
  counter = ProtoField.uint64("dddns.counter", "Counter", base.DEC),
  tag = ProtoField.bytes("dddns.tag", "Tag"),
  -- Bodies in clear
  seen = ProtoField.uint64("dddns.seen", "Highest counter seen, plus one", base.DEC),
  acked = ProtoField.uint64("dddns.acked", "Counter acknowledged, plus one", base.DEC),
  digest = ProtoField.bytes("dddns.digest", "Digest of the sender's member list"),
  reflection = ProtoField.bytes("dddns.reflection", "Reflection, masked"),
  reflection_ipv4 = ProtoField.ipv4("dddns.reflection.ipv4", "Reflected IPv4 address"),
  reflection_ipv6 = ProtoField.ipv6("dddns.reflection.ipv6", "Reflected IPv6 address"),
  reflection_port = ProtoField.uint16("dddns.reflection.port", "Reflected port", base.DEC),
  challenge = ProtoField.bytes("dddns.challenge", "Challenge"),
  response = ProtoField.bytes("dddns.response", "Response"),
  -- Sealed bodies
  sealed = ProtoField.bytes("dddns.sealed", "Sealed body"),
  seal = ProtoField.bytes("dddns.seal", "Seal tag"),
  -- Whatever does not belong there
  surplus = ProtoField.bytes("dddns.surplus", "Not part of the message"),
  malformed = ProtoField.string("dddns.malformed", "Malformed"),
}
dddns.fields = f

-- The rules that a datagram can break for all to see, by the names that counters and vectors have for them.
local RULES = {
  ["too-long"] = "longer than 1232 bytes (WIRE-2)",
  ["bad-magic"] = "byte 0 is not this protocol and version (WIRE-3)",
  ["unknown-type"] = "the type is unknown or reserved (WIRE-4)",
  ["bad-length"] = "not the length that the type calls for (WIRE-6)",
  ["not-zero"] = "a field that must be zero is not (WIRE-5)",
  ["bad-index"] = "a session index is 0",
  ["unknown-mode"] = "the mode of an initiation is unknown",
  ["bad-address"] = "an address has port 0 or no IP address (WIRE-10)",
  ["no-address"] = "an address is none where there must be one (WIRE-10)",
  ["nothing-acknowledged"] = "an acknowledgement names no heartbeat",
}
local experts = {}
for name, meaning in pairs(RULES) do
  experts[name] = ProtoExpert.new(
    "dddns." .. name, name .. ": " .. meaning, expert.group.MALFORMED, expert.severity.ERROR)
end
local experts_list = {}
for _, one in pairs(experts) do
  experts_list[#experts_list + 1] = one
end
dddns.experts = experts_list

local function u64(hex)
  return UInt64.fromhex(hex)
end

local GAMMA, MIX1, MIX2 = u64("9E3779B97F4A7C15"), u64("BF58476D1CE4E5B9"), u64("94D049BB133111EB")
local LOWEST_BITS = u64("0101010101010101")
local ZERO = UInt64(0)
-- The low half of ::ffff:0.0.0.0.
local MAPPED = u64("0000FFFF00000000")

-- The output function of SplitMix64.
local function mix(z)
  z = z:bxor(z:rshift(30)) * MIX1
  z = z:bxor(z:rshift(27)) * MIX2
  return z:bxor(z:rshift(31))
end

-- The reflected address of a whole heartbeat or acknowledgement without its mask (section 2.1): its IPv6 bytes as two
-- numbers, and its port.
local function unmask(tvb)
  local x = tvb(0, 8):uint64():bxor(tvb(8, 8):uint64())
  local masks = {}
  for i = 1, 3 do
    x = x + GAMMA
    masks[i] = mix(x):bor(LOWEST_BITS)
  end
  local address = HEADER + 16
  local high = tvb(address, 8):uint64():bxor(masks[1])
  local low = tvb(address + 8, 8):uint64():bxor(masks[2])
  local port = UInt64(tvb(address + 16, 2):uint()):bxor(masks[3]:rshift(48))
  return high, low, port:tonumber()
end

-- Whether these bytes of a datagram are all zero.
local function is_zero(range)
  return not range:bytes():tohex():find("[^0]")
end

local function judge_reflection(tvb, required)
  local high, low, port = unmask(tvb)
  if high == ZERO and low == ZERO and port == 0 then
    return required and "no-address" or nil
  end
  local nowhere = high == ZERO and (low == ZERO or low == MAPPED)
  return (nowhere or port == 0) and "bad-address" or nil
end

local function judge_initiation(tvb, length)
  if length ~= 216 then return "bad-length" end
  local mode = tvb(2, 1):uint()
  if not MODES[mode] then return "unknown-mode" end
  if not is_zero(tvb(3, 1)) or (mode == 0 and not is_zero(tvb(8, 8))) then return "not-zero" end
  return is_zero(tvb(4, 4)) and "bad-index" or nil
end

-- A Response or a CookieReply.
local function judge_answer(tvb, length, right)
  if length ~= right then return "bad-length" end
  if not is_zero(tvb(2, 2)) then return "not-zero" end
  return is_zero(tvb(4, 4)) and "bad-index" or nil
end

local function allows(body, length)
  local list = length - HEADER - TAG - (body.sealed and SEAL or 0) - body.fixed
  if not body.entry then return list == 0 end
  return list % body.entry == 0 and list >= body.min * body.entry and list <= body.max * body.entry
end

local function judge_tagged(tvb, length, type)
  local body = BODIES[type]
  if not body then return "unknown-type" end
  if not allows(body, length) then return "bad-length" end
  if not is_zero(tvb(3, 1)) then return "not-zero" end
  if is_zero(tvb(4, 4)) then return "bad-index" end
  if type == HEARTBEAT then return judge_reflection(tvb, false) end
  if type == HEARTBEAT_ACK then
    if is_zero(tvb(HEADER, 8)) then return "nothing-acknowledged" end
    return judge_reflection(tvb, true)
  end
end

-- The first rule that a datagram breaks, in the order in which a node looks: nil if it breaks none.
local function judge(tvb)
  local length = tvb:len()
  if length > MAX_DATAGRAM then return "too-long" end
  if length < 2 then return "bad-length" end
  if tvb(0, 1):uint() ~= MAGIC_VERSION then return "bad-magic" end
  local type = tvb(1, 1):uint()
  if type == INITIATION then return judge_initiation(tvb, length) end
  if type == RESPONSE then return judge_answer(tvb, length, 159) end
  if type == COOKIE_REPLY then return judge_answer(tvb, length, 56) end
  return judge_tagged(tvb, length, type)
end

-- Cuts a datagram into fields, as far as it goes.
local Reader = {}
Reader.__index = Reader

function Reader.new(tvb, tree)
  return setmetatable({ tvb = tvb, tree = tree, offset = 0, stop = tvb:len() }, Reader)
end

-- The next field; nil if it is not there as a whole.
function Reader:take(field, length)
  if length == 0 then return nil end
  if self.offset + length > self.stop then
    self:surplus(self.stop - self.offset)
    return nil
  end
  local item = self.tree:add(field, self.tvb(self.offset, length))
  self.offset = self.offset + length
  return item
end

-- Bytes that make no field.
function Reader:surplus(length)
  if length > 0 then self:take(f.surplus, length) end
end

local function say_plus_one(item, value)
  if item then item:append_text(value == ZERO and " (none)" or " (counter " .. tostring(value - 1) .. ")") end
end

local function add_reflection(reader)
  local tvb, item = reader.tvb, reader:take(f.reflection, 18)
  if not item then return end
  local high, low, port = unmask(tvb)
  if high == ZERO and low == ZERO and port == 0 then
    item:append_text(" (none)")
    return
  end
  local bytes = ByteArray.new(high:tohex(16) .. low:tohex(16) .. string.format("%04x", port))
  local plain = bytes:tvb("Reflection, unmasked")
  local text
  if high == ZERO and low:rshift(32) == UInt64(0xFFFF) then
    item:add(f.reflection_ipv4, plain(12, 4)):set_generated()
    text = tostring(plain(12, 4):ipv4())
  else
    item:add(f.reflection_ipv6, plain(0, 16)):set_generated()
    text = "[" .. tostring(plain(0, 16):ipv6()) .. "]"
  end
  item:add(f.reflection_port, plain(16, 2)):set_generated()
  item:append_text(string.format(" (%s:%d)", text, port))
end

local function add_clear_body(reader, type)
  if type == HEARTBEAT or type == HEARTBEAT_ACK then
    local number = reader:take(type == HEARTBEAT and f.seen or f.acked, 8)
    if number then say_plus_one(number, reader.tvb(HEADER, 8):uint64()) end
    reader:take(f.digest, 8)
    add_reflection(reader)
  elseif type == PATH_CHALLENGE then
    reader:take(f.challenge, 8)
  elseif type == PATH_RESPONSE then
    reader:take(f.response, 8)
  end
end

local function add_tagged(reader, type)
  reader:take(f.step, 1)
  reader:take(f.flags, 1)
  reader:take(f.receiver, 4)
  reader:take(f.counter, 8)
  -- The tag is what a datagram ends with, however long its body is.
  local stop = reader.stop
  reader.stop = math.max(reader.offset, stop - TAG)
  if BODIES[type].sealed then
    local body = reader.stop - reader.offset
    reader:take(f.sealed, math.max(0, body - SEAL))
    reader:take(f.seal, math.min(body, SEAL))
  else
    add_clear_body(reader, type)
  end
  reader:surplus(reader.stop - reader.offset)
  reader.stop = stop
  reader:take(f.tag, TAG)
end

local function add_handshake(reader, type)
  if type == INITIATION then
    reader:take(f.mode, 1)
    reader:take(f.zero, 1)
    reader:take(f.sender, 4)
    reader:take(f.invite, 8)
    reader:take(f.ephemeral, 32)
    reader:take(f.static, 48)
    reader:take(f.payload, 88)
    reader:take(f.mac1, 16)
    reader:take(f.mac2, 16)
    return
  end
  reader:take(f.zero, 2)
  reader:take(f.receiver, 4)
  if type == RESPONSE then
    reader:take(f.ephemeral, 32)
    reader:take(f.payload, 103)
    reader:take(f.mac1, 16)
  else
    reader:take(f.random, 16)
    reader:take(f.cookie, 32)
  end
end

local function add_fields(tvb, tree)
  local reader = Reader.new(tvb, tree)
  local magic = reader:take(f.magic, 1)
  if magic then magic:add(f.version, tvb(0, 1)) end
  if tvb:len() >= 2 and tvb(0, 1):uint() == MAGIC_VERSION then
    local type = tvb(1, 1):uint()
    reader:take(f.type, 1)
    if type == INITIATION or type == RESPONSE or type == COOKIE_REPLY then
      add_handshake(reader, type)
    elseif BODIES[type] then
      add_tagged(reader, type)
    end
  end
  reader:surplus(reader.stop - reader.offset)
end

-- One line for the list of packets.
local function summary(tvb)
  if tvb:len() < HEADER or tvb(0, 1):uint() ~= MAGIC_VERSION then return "dddns" end
  local type = tvb(1, 1):uint()
  local text = (TYPES[type] or string.format("type 0x%02x", type)) .. " index=" .. tvb(4, 4):bytes():tohex(true)
  if BODIES[type] then
    text = text .. " counter=" .. tostring(tvb(8, 8):uint64()) .. " step=" .. tvb(2, 1):uint()
  end
  return text
end

function dddns.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "dddns"
  pinfo.cols.info = summary(tvb)
  local tree = root:add(dddns, tvb())
  add_fields(tvb, tree)
  -- What the capture left out cannot be judged.
  if tvb:len() < tvb:reported_len() then
    tree:append_text(", cut off by the capture")
    return tvb:len()
  end
  local broken = judge(tvb)
  if broken then
    tree:add(f.malformed, broken):set_generated()
    tree:add_proto_expert_info(experts[broken])
    pinfo.cols.info:append(" [" .. broken .. "]")
  end
  return tvb:len()
end

-- On any port: a datagram without a fault, and then whatever its two ends say to each other.
local function recognise(tvb, pinfo, root)
  if tvb:len() < HEADER or tvb:len() < tvb:reported_len() or judge(tvb) then return false end
  pinfo.conversation = dddns
  dddns.dissector(tvb, pinfo, root)
  return true
end

dddns:register_heuristic("udp", recognise)
DissectorTable.get("udp.port"):add(PORT, dddns)
