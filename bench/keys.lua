-- For wrk: asks for URL/1 to URL/COUNT in turn, over all connections. wrk -s keys.lua URL -- COUNT
local requests, count, turn = {}, 0, 0

-- All requests are put together beforehand: wrk shares its core with the servers behind nginx.
function init(arguments)
    count = tonumber(arguments[1])
    for key = 1, count do
        requests[key] = wrk.format("GET", wrk.path .. "/" .. key)
    end
end

function request()
    turn = turn < count and turn + 1 or 1
    return requests[turn]
end
