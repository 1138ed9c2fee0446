// Package cache remembers what the conveyor has read of conversations: groups with their members ([Groups]), and when 1:1 list entries were last written
// ([Chats]). It is bounded in memory, and belongs to the goroutine of the conveyor. What others write into the tables is seen after [GroupAge].
package cache
